"""The room that takes what customers do: the tracking API and what stands at its door.

In:    requests of SDKs, tills, webhooks; files.
Out:   rows of the log, rows of quarantine.
Never: a 200 before the log has it on disk; a good event lost for a bad one.
"""
