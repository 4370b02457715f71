"""How are results told?"""
