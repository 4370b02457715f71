"""Is a difference more than luck?"""
