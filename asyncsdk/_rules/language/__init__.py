"""What specs may say: operators, conditions, values and what they are compared with."""
