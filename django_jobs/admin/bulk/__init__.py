"""What is done to many jobs: asked first, then followed."""
