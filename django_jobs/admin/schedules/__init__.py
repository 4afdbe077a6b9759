"""Django's own list and form of schedules, with what we add to them."""
