"""Who is tested by whom?"""
