"""How good is a head?"""
