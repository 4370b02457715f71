"""What may flatter the numbers?"""
