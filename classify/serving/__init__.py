"""A page and an API that answer for photos: `classify serve`."""
