"""The shop: customers, and campaigns that mail them."""
