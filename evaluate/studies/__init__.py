"""Which question is asked: compare, test, or learning curve?"""
