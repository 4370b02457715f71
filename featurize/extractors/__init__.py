"""What turns a photo into numbers?"""
