"""Django management commands of the package."""
