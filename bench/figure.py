"""A figure: what was measured, what was promised, what a bare alternative reaches here."""

from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: float
    unit: str
    budget: float
    more_is_better: bool
    baseline: str = ""
    baseline_value: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Say whether the budget holds."""
        return self.value >= self.budget if self.more_is_better else self.value <= self.budget

    @property
    def ratio(self) -> float | None:
        """Say what share of the baseline it reaches (or how many times it takes)."""
        return self.value / self.baseline_value if self.baseline_value else None

    def line(self) -> str:
        """Give the line that a benchmark prints."""
        sign = "≥" if self.more_is_better else "≤"
        told = f"{self.name}: {_number(self.value)} {self.unit} (budget {sign} {_number(self.budget)}"
        told += ", met)" if self.is_met else ", NOT met)"
        if self.ratio is not None and self.baseline_value is not None:
            told += f"; {self.baseline}: {_number(self.baseline_value)}, ratio {self.ratio:.2f}"
        return told + (f"; {self.note}" if self.note else "")

    def row(self) -> str:
        """Give the row of the table in the docs."""
        sign = "≥" if self.more_is_better else "≤"
        baseline = f"{self.baseline}: {_number(self.baseline_value)}" if self.baseline_value is not None else ""
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else ""
        met = "yes" if self.is_met else "no"
        return (
            f"| {self.name} | {_number(self.value)} {self.unit} | {sign} {_number(self.budget)} | {met} "
            f"| {baseline} | {ratio} | {self.note} |"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")


def percentile(values: list[float], share: float) -> float:
    """Give the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
