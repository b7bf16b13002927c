"""Figures from finished tables: each takes a table and an `ax`, draws, returns the `Axes`, computes nothing new.

Colours are Okabe and Ito's, which people with colour blindness tell apart; shapes and hatches differ too, so that
grey print keeps the meaning. (jfly.uni-koeln.de/color)
"""

import numpy as np
import pandas as pd

BLUE, ORANGE, GREEN, RED, PURPLE, GREY, SKY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#767676", "#56B4E9",
)  # fmt: skip
OUTCOMES = {
    "harmed": (RED, "harmed"),
    "exposed": (ORANGE, "exposed, not refused"),
    "safe": (GREEN, "safe"),
    "undetermined": (GREY, "undetermined"),
}
VERDICTS = {
    "startup_race": (RED, "X"),
    "init_race": (PURPLE, "D"),
    "proxy_outage": (ORANGE, "s"),
    "shutdown_race": (SKY, "v"),
    "upstream": (BLUE, "o"),
    "local": (GREEN, "^"),
    "no_sidecar": (GREY, "<"),
    "undetermined": (GREY, "P"),
}
_CLOSED = {"proxy_process", "proxy_closed", "probe_failed", "proxy_exited", "container_died"}


def plot_pod(fleet, pod: str, ax=None):
    """One pod start as a timeline: containers, the proxy's readiness, the race window, each refusal.

    `fleet` is what `analyse` returns, `pod` a pod's name or start_id (of several starts the first is drawn).
    Bars are drawn from the earliest to the latest possible time: the part that is not sure is hatched.
    Raises UnknownPodError.
    """
    start = fleet.start_of(pod).iloc[0]
    evidence = fleet.evidence[fleet.evidence["start_id"] == start["start_id"]]
    errors = fleet.errors[fleet.errors["start_id"] == start["start_id"]]
    ax = ax or _axes(9, 3.4)
    epoch, end = _span(start, evidence, errors)

    def second(stamp):
        return None if pd.isna(stamp) else (stamp - epoch) / pd.Timedelta(1, "s")

    last = second(end)
    _life(ax, 2, second(start["app_started_lower"]), second(start["app_started_upper"]), last, BLUE, "application runs")
    _life(
        ax,
        1,
        second(start["proxy_started_lower"]),
        second(start["proxy_started_upper"]),
        last,
        GREY,
        "proxy runs, closed",
    )
    _life(
        ax,
        1,
        second(start["proxy_ready_lower"]),
        second(start["proxy_ready_upper"]),
        last,
        GREEN,
        "proxy open (hatched: not sure)",
    )
    _window(ax, start, second, last)
    of_proxy = evidence[evidence["container"] == "istio-proxy"]
    _down(ax, of_proxy, second, last)
    closed = of_proxy[of_proxy["kind"].isin(_CLOSED)]
    ticks = [second(stamp) for stamp in closed["time_lower"] if not pd.isna(stamp)]
    ax.plot(ticks, [1] * len(ticks), "|", color="black", markersize=12, label="proof of a closed proxy")
    for verdict, rows in errors.groupby("verdict", sort=True):
        color, marker = VERDICTS[verdict]
        seconds = [second(stamp) for stamp in rows["time"]]
        ax.plot(seconds, [2] * len(seconds), marker, color=color, markersize=9, label=f"refused: {verdict}",
                markeredgecolor="white", clip_on=False)  # fmt: skip
    names = [start["app_container"] if isinstance(start["app_container"], str) else "application", "istio-proxy"]
    ax.set_yticks([2, 1], [_short(name, 24) for name in names])
    ax.set_ylim(0.4, 2.7)
    ax.set_xlim(min(0, *ticks) if ticks else 0, last * 1.02 if last else 1)
    ax.set_xlabel(f"time since {epoch.floor('ms'):%Y-%m-%d %H:%M:%S} UTC [s]")
    ax.set_title(_finding(start, errors), loc="left", fontsize=10)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=8, frameon=False)
    return ax


def _span(start: pd.Series, evidence: pd.DataFrame, errors: pd.DataFrame):
    """First and last time to show: what happened around the start, not a pod's whole life."""
    known = [
        start[f"{name}_{end}"] for name in ("proxy_started", "app_started", "proxy_ready") for end in ("lower", "upper")
    ]
    known += [start["scheduled_lower"], *errors["time"].head(50)]
    known = [stamp for stamp in known if not pd.isna(stamp)] or list(evidence["time_lower"].dropna())
    epoch, end = min(known), max(known)
    probes = evidence.loc[evidence["kind"].eq("probe_failed"), "time_upper"].dropna()
    end = max([end, *probes[probes < end + pd.Timedelta(120, "s")]])
    return epoch, end + max((end - epoch) * 0.12, pd.Timedelta(1, "s"))


def _life(ax, row: float, lower, upper, last: float, color: str, label: str) -> None:
    """A bar from a beginning that is known to an interval to the end of the picture."""
    if lower is None and upper is None:
        return
    lower = upper if lower is None else lower
    unsure = {"height": 0.36, "facecolor": "none", "edgecolor": color, "hatch": "////", "linewidth": 0.8}
    if upper is None:
        ax.barh(row, last - lower, left=lower, label=label, **unsure)
        return
    ax.barh(row, last - upper, left=upper, height=0.36, color=color, alpha=0.85, label=label)
    ax.barh(row, upper - lower, left=lower, **unsure)


def _down(ax, of_proxy: pd.DataFrame, second, last: float) -> None:
    """The times between an end of the proxy and its next opening, in grey over its bar."""
    ends = of_proxy.loc[of_proxy["kind"].isin(["proxy_exited", "container_died"]), "time_lower"].dropna().sort_values()
    opens = of_proxy.loc[of_proxy["kind"] == "proxy_open", "time_upper"].dropna().sort_values()
    until = None
    for end in ends:
        if until is not None and second(end) < until:
            continue
        after = opens[opens > end]
        until = second(after.iloc[0]) if len(after) else last
        ax.barh(1, until - second(end), left=second(end), height=0.36, color=GREY)


def _window(ax, start: pd.Series, second, last: float) -> None:
    sure = second(start["app_started_upper"]), second(start["proxy_ready_lower"])
    most = second(start["app_started_lower"]), second(start["proxy_ready_upper"])
    if None not in sure and sure[1] > sure[0]:
        ax.axvspan(*sure, color=RED, alpha=0.16, zorder=0, label="race window (at least)")
    begin = most[0] if most[0] is not None else sure[0]
    end = last if most[1] is None else most[1]
    if begin is not None and end > begin and sure[1] is not None:
        ax.axvspan(
            begin,
            end,
            facecolor="none",
            edgecolor=RED,
            alpha=0.5,
            hatch="..",
            linewidth=0,
            zorder=0,
            label="race window (at most)",
        )


def _finding(start: pd.Series, errors: pd.DataFrame) -> str:
    pod = _short(start["pod"], 70)
    low, high = start["window_lower_s"], start["window_upper_s"]
    if start["outcome"] == "not_meshed":
        return f"{pod} has no proxy"
    if start["outcome"] == "init_stalled":
        return f"{pod} stalls in Init: {len(errors)} refused connections behind the redirection"
    raced = errors[errors["verdict"] == "startup_race"]
    words = f"{pod}\n" + (f"{len(raced)} refused in the start-up race" if len(raced) else str(start["outcome"]))
    if pd.isna(low):
        return words
    if np.isinf(high):
        return f"{words}; proxy not ready for at least {low:.1f} s"
    return f"{words}; window {low:.1f} to {high:.1f} s" if high > 0 else f"{words}; no window"


def plot_waterfall(starts: pd.DataFrame, ax=None):
    """Pod starts aligned at the application's start, sorted by window; a bar spans the proxy's readiness."""
    ax = ax or _axes(8, 4.2)
    rows = starts[starts["at_risk"].astype(bool) & starts["window_lower_s"].notna()]
    rows = rows.sort_values(["window_lower_s", "window_upper_s", "start_id"]).tail(400).reset_index(drop=True)
    finite = rows["window_upper_s"].replace(np.inf, np.nan)
    edge = max(
        finite.max(skipna=True) if finite.notna().any() else 1.0, rows["window_lower_s"].max() if len(rows) else 1.0
    )
    for outcome, (color, label) in OUTCOMES.items():
        mine = rows[rows["outcome"] == outcome]
        ax.hlines(
            mine.index, mine["window_lower_s"], mine["window_upper_s"].clip(upper=edge * 1.1), color=color, linewidth=2
        )
        marker = {"harmed": "X", "exposed": "o", "safe": ".", "undetermined": "P"}[outcome]
        ax.plot(mine["window_lower_s"], mine.index, marker, color=color, markersize=4, label=f"{label} ({len(mine)})")
    ax.set_xlabel("proxy ready after the application's start [s]")
    ax.set_ylabel("pod start")
    ax.set_title(
        f"{int((rows['outcome'] == 'harmed').sum())} of {len(rows)} starts at risk were harmed", loc="left", fontsize=10
    )
    ax.legend(fontsize=8, frameon=False)
    return ax


def plot_windows(starts: pd.DataFrame, ax=None):
    """The share of starts whose race window is over after so many seconds: between the two lines."""
    ax = ax or _axes(7, 3.2)
    rows = starts[starts["at_risk"].astype(bool) & starts["window_lower_s"].notna()]
    total = len(rows)
    for column, style, label in (
        ("window_lower_s", "-", "at most (windows as short as possible)"),
        ("window_upper_s", "--", "at least (windows as long as possible)"),
    ):
        values = np.sort(rows[column].to_numpy(float))
        values = values[np.isfinite(values)]
        ax.step([0, *values], [0, *(np.arange(1, len(values) + 1) / max(total, 1) * 100)], style, where="post",
                color=BLUE if style == "-" else RED, label=label)  # fmt: skip
    never = int(np.isinf(rows["window_upper_s"]).sum())
    ax.set(xlabel="race window [s]", ylabel="starts at risk [%]", ylim=(0, 103))
    ax.set_xlim(left=0)
    ax.set_title(
        f"Race windows of {total} starts" + (f"; {never} never seen ready" if never else ""),
        loc="left",
        fontsize=10,
    )
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


def plot_incidence(incidence: pd.DataFrame, ax=None, *, most: int = 25):
    """Share of harmed starts by group: band for undetermined starts, whiskers for 95 % confidence."""
    rows = incidence[incidence["at_risk"] > 0].head(most).iloc[::-1].reset_index(drop=True)
    ax = ax or _axes(8, 0.9 + 0.32 * max(len(rows), 1))
    by = list(incidence.columns[: list(incidence.columns).index("starts")])
    at = np.arange(len(rows))
    ax.hlines(at, rows["ci_lower"] * 100, rows["ci_upper"] * 100, color=GREY, linewidth=1.2)
    ax.hlines(at, rows["share_lower"] * 100, rows["share_upper"] * 100, color=RED, linewidth=7, alpha=0.55)
    ax.plot(rows["share_lower"] * 100, at, "o", color=RED, markersize=5)
    names = [" / ".join(_short(str(row[name]), 34) for name in by) for _, row in rows.iterrows()]
    labels = [f"{name}  ({row.harmed} of {row.at_risk})" for name, row in zip(names, rows.itertuples(), strict=True)]
    ax.set_yticks(at, labels, fontsize=8)
    ax.set(xlabel="harmed starts, share of those at risk [%]", xlim=(-2, 102))
    ax.set_title(
        f"{int(incidence['harmed'].sum())} of {int(incidence['at_risk'].sum())} starts at risk were harmed",
        loc="left",
        fontsize=10,
    )
    return ax


def plot_hours(counts: pd.DataFrame, ax=None):
    """A heat map of a finished table: rows are workloads, columns hours, values counts."""
    ax = ax or _axes(8, 0.9 + 0.3 * max(len(counts), 1))
    ax.imshow(counts.to_numpy(float), aspect="auto", cmap="cividis")
    ax.set_yticks(range(len(counts)), [_short(str(name), 34) for name in counts.index], fontsize=8)
    hours = [f"{hour:%d %H:%M}" if hasattr(hour, "hour") else str(hour) for hour in counts.columns]
    ax.set_xticks(range(len(hours)), hours, rotation=90, fontsize=7)
    ax.set_xlabel("hour (UTC)")
    for row, column in np.argwhere(counts.to_numpy(float) > 0):
        value = int(counts.iat[row, column])
        dark = value < counts.to_numpy(float).max() / 2
        ax.text(column, row, str(value), ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.set_title(f"{int(counts.to_numpy(float).sum())} by hour", loc="left", fontsize=10)
    return ax


def _axes(width: float, height: float):
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _short(text, limit: int) -> str:
    """A label that no name from a log can spoil: printable, short, no markup of the plotting library."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: limit + 1]).replace("$", r"\$")
    return text if len(text) <= limit else text[:limit] + "…"
