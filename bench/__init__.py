"""The budgets of the design, measured, each beside a baseline run on the same machine in the same minute."""
