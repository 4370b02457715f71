"""Which photos are there, and what is in one?"""
