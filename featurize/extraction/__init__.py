"""How do photos become a table?"""
