"""What decides the numbers that training sees, in whole numbers: the order of the examples."""
