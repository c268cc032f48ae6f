"""Between the conductor and its gateways: what gateways must know to answer by themselves, and what they did.

On the conductor's socket only (`api.front_proxy`), which nobody but the user of the home can open.
"""
