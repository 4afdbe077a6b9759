"""Webhooks: partners are told of events, again and again until they have taken them."""
