"""How is a frozen network built, kept and run?"""
