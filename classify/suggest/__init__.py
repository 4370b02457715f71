"""Which photos to label next, and a page to label them on."""
