"""A believable shop with invented customers, for the demo, for tests and for measuring.

In:    a seed, a number of customers, a clock.
Out:   messages as Segment's libraries would send them, and a sender that speaks the real protocol.
Never: a real person's name, address or number; a way into the workspace that a customer's browser would not have.
"""

from tillit.simulate.demo import run_demo
from tillit.simulate.people import Customer, list_languages
from tillit.simulate.send import DemoRefused, Sender
from tillit.simulate.shop import Said, Shop

__all__ = ["Customer", "DemoRefused", "Said", "Sender", "Shop", "list_languages", "run_demo"]
