"""A believable shop with invented customers and the truth kept beside it, for the demo, for tests and for measuring.

In:    a seed, a number of customers, a clock.
Out:   messages as Segment's libraries would send them, written straight into a fresh workspace or sent by the real
       protocol; who really was who, and what caused what; how well a workspace knows it.
Never: a real person's name, address or number; a byte of the truth inside the workspace.
"""

from tillit.simulate.catalogue import CAMPAIGNS, SOURCES
from tillit.simulate.desk import file_requests
from tillit.simulate.history import HasEvents, Reached, Written, has_events, write_history
from tillit.simulate.live import run_demo
from tillit.simulate.people import Customer, list_languages
from tillit.simulate.score import Score, score_workspace
from tillit.simulate.score_consent import Agreement
from tillit.simulate.send import DemoRefused, Sender
from tillit.simulate.shop import HISTORY_DAYS, Shop, count_customers
from tillit.simulate.truth import NoTruth, Truth, TruthTaken, truth_path
from tillit.simulate.voices import Said, Scene

__all__ = [
    "CAMPAIGNS",
    "HISTORY_DAYS",
    "SOURCES",
    "Agreement",
    "Customer",
    "DemoRefused",
    "HasEvents",
    "NoTruth",
    "Reached",
    "Said",
    "Scene",
    "Score",
    "Sender",
    "Shop",
    "Truth",
    "TruthTaken",
    "Written",
    "count_customers",
    "file_requests",
    "has_events",
    "list_languages",
    "run_demo",
    "score_workspace",
    "truth_path",
    "write_history",
]
