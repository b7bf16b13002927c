"""Figures from finished tables: each takes a table and an `ax`, draws, returns the `Axes`, computes nothing new.

Colours are Okabe and Ito's, which people with colour blindness tell apart; shapes and hatches differ too, so that
grey print keeps the meaning. Ink and paper are Matplotlib's own (`text.color`, `axes.facecolor`), so that a dark
style sheet gives a dark figure; `dark()` is the report's. (jfly.uni-koeln.de/color)
"""

import numpy as np
import pandas as pd

from meshlogs.markup import ends, name_of

BLUE, ORANGE, GREEN, RED, PURPLE, GREY, SKY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#808080", "#56B4E9",
)  # fmt: skip
OUTCOMES = {
    "harmed": (RED, "X", "harmed"),
    "exposed": (ORANGE, "o", "exposed, not refused"),
    "safe": (GREEN, "d", "safe"),
    "undetermined": (GREY, "P", "undetermined"),
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
_THIN = 0.13  # of a bar whose proxy is closed: grey print keeps the difference
_LIGHT = {
    "text.color": "#010101", "axes.labelcolor": "#010101", "axes.edgecolor": "#020202", "xtick.color": "#030303",
    "ytick.color": "#030303", "axes.facecolor": "#fefefe", "figure.facecolor": "#fefefe",
    "savefig.facecolor": "#fefefe", "grid.color": "#b1b1b1",
}  # fmt: skip
_DARK = {
    "text.color": "#e8eaed", "axes.labelcolor": "#e8eaed", "axes.edgecolor": "#a9b0b8", "xtick.color": "#c9ced4",
    "ytick.color": "#c9ced4", "axes.facecolor": "#16191d", "figure.facecolor": "#16191d",
    "savefig.facecolor": "#16191d", "grid.color": "#3a4048",
}  # fmt: skip


def dark():
    """A context in which figures are drawn light on dark: `with ml.plots.dark(): ml.plot_pod(…)`."""
    import matplotlib.pyplot as plt

    return plt.rc_context(_DARK)


def light():
    """A context in which figures are drawn dark on light, in an ink and on a paper that nothing else is drawn in."""
    import matplotlib.pyplot as plt

    return plt.rc_context(_LIGHT)


def night(picture: str) -> str:
    """The SVG of a figure drawn within `light()` as if it were drawn within `dark()`."""
    for name, color in _LIGHT.items():
        picture = picture.replace(color, _DARK[name])
    return picture


def plot_pod(fleet, pod: str, ax=None):
    """One pod start as a timeline: containers, the proxy's readiness, the race window, each refusal.

    `fleet` is what `analyse` returns, `pod` a pod's name or start_id (of several starts the first is drawn).
    Bars are drawn from the earliest to the latest possible time: the part that is not sure is hatched.
    Raises UnknownPodError.
    """
    start = fleet.start_of(pod).iloc[0]
    evidence = fleet.evidence_of([start["start_id"]])
    errors = fleet.errors_of([start["start_id"]])
    ax = _axes(ax, 9, 3.4)
    epoch, end = _span(start, evidence, errors)
    if epoch is None:
        return _undated(ax, start, errors)

    def second(stamp):
        return None if pd.isna(stamp) else (stamp - epoch) / pd.Timedelta(1, "s")

    last = second(end)
    for row, name, height, color, label in (
        (2, "app_started", 0.36, BLUE, "application runs"),
        (1, "proxy_started", _THIN, GREY, "proxy runs, closed"),
        (1, "proxy_ready", 0.36, GREEN, "proxy open (hatched: not sure)"),
    ):
        _life(ax, row, second(start[f"{name}_lower"]), second(start[f"{name}_upper"]), last, height, color, label)
    _window(ax, start, second, last)
    of_proxy = evidence[evidence["container"] == "istio-proxy"]
    _down(ax, of_proxy, second, last)
    closed = of_proxy[of_proxy["kind"].isin(_CLOSED)]
    ticks = [second(stamp) for stamp in closed["time_lower"] if not pd.isna(stamp)]
    if ticks:
        ax.plot(ticks, [0.72] * len(ticks), "|", color=_ink(), markersize=8, label="proof of a closed proxy")
    for verdict, rows in errors.groupby("verdict", sort=True):
        color, marker = VERDICTS[verdict]
        seconds = [second(stamp) for stamp in rows["time"]]
        ax.plot(seconds, [2.34] * len(seconds), marker, color=color, markersize=8, label=f"refused: {verdict}",
                markeredgecolor=_paper(), clip_on=False)  # fmt: skip
    ax.set_yticks([2, 1], [_short(_program(start, errors), 24), "istio-proxy"])
    ax.set_ylim(0.4, 2.7)
    ax.set_xlim(min(0, *ticks) if ticks else 0, last * 1.02 if last else 1)
    ax.set_xlabel(f"time since {epoch:%Y-%m-%d %H:%M:%S} UTC [s]")
    ax.set_title(_finding(start, errors), loc="left", fontsize=10)
    if ax.get_legend_handles_labels()[0]:  # of a pod whose containers are not in the export nothing is drawn
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=8, frameon=False)
    return ax


def _program(start: pd.Series, errors: pd.DataFrame) -> str:
    """Whose line the upper one is: the application, or the init container that never lets it start."""
    if start["outcome"] == "init_stalled" and errors["container"].nunique() == 1:
        return str(errors["container"].iloc[0])
    return start["app_container"] if isinstance(start["app_container"], str) else "application"


def _span(start: pd.Series, evidence: pd.DataFrame, errors: pd.DataFrame):
    """First and last time to show, the first a whole second: what happened around the start, not a pod's whole life.

    Two times None where nothing is dated.
    """
    known = [
        start[f"{name}_{end}"] for name in ("proxy_started", "app_started", "proxy_ready") for end in ("lower", "upper")
    ]
    known += [start["scheduled_lower"], *errors["time"].head(50)]
    known = [stamp for stamp in known if not pd.isna(stamp)] or list(evidence["time_lower"].dropna())
    if not known:
        return None, None
    epoch, end = min(known), max(known)
    probes = evidence.loc[evidence["kind"].eq("probe_failed"), "time_upper"].dropna()
    end = max([end, *probes[probes < end + pd.Timedelta(120, "s")]])
    return epoch.floor("s"), end + max((end - epoch) * 0.12, pd.Timedelta(1, "s"))


def _undated(ax, start: pd.Series, errors: pd.DataFrame):
    """The axes of a start in whose logs no line has a time."""
    lines = start["refused_undated"]
    told = f"\nlines that tell of a refused connection: {lines:,}" if lines else ""
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"nothing of this start has a time{told}", ha="center", transform=ax.transAxes)
    ax.set_title(_finding(start, errors), loc="left", fontsize=10)
    return ax


def _life(ax, row: float, lower, upper, last: float, height: float, color: str, label: str) -> None:
    """A bar from a beginning that is known to an interval to the end of the picture."""
    if lower is None and upper is None:
        return
    lower = upper if lower is None else lower
    unsure = {"height": height, "facecolor": "none", "edgecolor": color, "hatch": "////", "linewidth": 0.8}
    if upper is None:
        ax.barh(row, last - lower, left=lower, label=label, **unsure)
        return
    ax.barh(row, last - upper, left=upper, height=height, color=color, label=label)
    ax.barh(row, upper - lower, left=lower, **unsure)


def _down(ax, of_proxy: pd.DataFrame, second, last: float) -> None:
    """The times between an end of the proxy and its next opening: its bar is thin and grey again."""
    ends = of_proxy.loc[of_proxy["kind"].isin(["proxy_exited", "container_died"]), "time_lower"].dropna().sort_values()
    opens = of_proxy.loc[of_proxy["kind"] == "proxy_open", "time_upper"].dropna().sort_values()
    until = None
    for end in ends:
        if until is not None and second(end) < until:
            continue
        after = opens[opens > end]
        until = second(after.iloc[0]) if len(after) else last
        ax.barh(1, until - second(end), left=second(end), height=0.4, color=_paper())
        ax.barh(1, until - second(end), left=second(end), height=_THIN, color=GREY)


def _window(ax, start: pd.Series, second, last: float) -> None:
    """The race window: shaded where it is sure, dotted where it is possible."""
    sure = second(start["app_started_upper"]), second(start["proxy_ready_lower"])
    most = second(start["app_started_lower"]), second(start["proxy_ready_upper"])
    if None not in sure and sure[1] > sure[0]:
        ax.axvspan(*sure, color=RED, alpha=0.16, zorder=0, label="race window (at least)")
    begin = most[0] if most[0] is not None else sure[0]
    end = last if most[1] is None else most[1]
    if begin is not None and end > begin and sure[1] is not None:
        ax.axvspan(begin, end, facecolor="none", edgecolor=RED, alpha=0.5, hatch="\\\\", linewidth=0, zorder=0,
                   label="race window (at most)")  # fmt: skip


def _finding(start: pd.Series, errors: pd.DataFrame) -> str:
    pod = _short(name_of(start), 70)
    low, high = start["window_lower_s"], start["window_upper_s"]
    if start["outcome"] == "not_meshed":
        return f"{pod} has no proxy"
    if start["outcome"] == "init_stalled":
        return f"{pod} stalls in Init: {_refusals(len(errors))} behind the redirection"
    raced = errors[errors["verdict"] == "startup_race"]
    words = f"{pod}\n" + (f"{len(raced)} refused in the start-up race" if len(raced) else str(start["outcome"]))
    if pd.isna(low):
        return words
    if np.isinf(high):
        return f"{words}; proxy not ready for at least {low:.1f} s"
    window = ends(f"{low:.1f}", f"{high:.1f}", " to ")
    return f"{words}; window {window} s" if high > 0 else f"{words}; no window"


def _refusals(count: int) -> str:
    return f"{count} refused connection{'' if count == 1 else 's'}"


def plot_waterfall(starts: pd.DataFrame, ax=None, *, most: int = 400):
    """Pod starts aligned at the application's start, sorted by race window, harmed ones marked.

    A bar spans the times at which the proxy may have become ready; an arrow says that it was never seen ready.
    Of more than `most` starts an even selection is drawn, the shortest and the longest window among them.
    """
    ax = _axes(ax, 8, 4.4)
    rows = starts[starts["at_risk"].astype(bool) & starts["window_lower_s"].notna()]
    total, harmed = len(rows), int((rows["outcome"] == "harmed").sum())
    rows = rows.sort_values(["window_lower_s", "window_upper_s", "start_id"])
    rows = rows.iloc[np.linspace(0, total - 1, min(most, total)).astype(int)].reset_index(drop=True)
    thick = min(2.0, 320 / max(len(rows), 1))
    known = rows[["window_lower_s", "window_upper_s"]].replace(np.inf, np.nan).max(skipna=True).max()
    edge = known * 1.08 if known > 0 else 1.0
    for outcome, (color, marker, label) in OUTCOMES.items():
        mine = rows[rows["outcome"] == outcome]
        if mine.empty:
            continue
        never = mine[np.isinf(mine["window_upper_s"])]
        ax.hlines(mine.index, mine["window_lower_s"], mine["window_upper_s"].clip(upper=edge), color=color,
                  linewidth=thick * (1.5 if outcome == "harmed" else 1))  # fmt: skip
        ax.plot(mine["window_lower_s"], mine.index, marker, color=color, markersize=2.5 + thick,
                label=f"{label} ({len(mine):,})", markeredgecolor=_paper(), markeredgewidth=0.3)  # fmt: skip
        ax.plot([edge] * len(never), never.index, ">", color=color, markersize=5, clip_on=False)
    ax.axvline(0, color=_ink(), linewidth=0.8)
    ax.set_xlim(left=-edge * 0.015, right=edge)
    ax.set_xlabel("proxy ready after the application's start [s];  ▸ never seen ready")
    ax.set_ylabel("pod starts, by race window")
    shown = f" ({len(rows):,} of them drawn)" if len(rows) < total else ""
    unknown = int((rows["outcome"] == "undetermined").sum())
    ax.set_title(_harmed(harmed, total, unknown) + shown, loc="left", fontsize=10)
    if len(rows):
        ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


def _harmed(harmed: int, at_risk: int, unknown: int) -> str:
    open_too = f", {unknown:,} cannot be told" if unknown else ""
    return f"{harmed:,} of {at_risk:,} starts at risk were harmed{open_too}"


def plot_windows(starts: pd.DataFrame, ax=None):
    """The share of starts whose race window is over after so many seconds: it lies between the two lines.

    Starts whose proxy was never seen ready keep the lower line below 100 %.
    """
    ax = _axes(ax, 7, 3.2)
    rows = starts[starts["at_risk"].astype(bool) & starts["window_lower_s"].notna()]
    total = len(rows)
    steps = {}
    for column in ("window_lower_s", "window_upper_s"):
        values = np.sort(rows[column].to_numpy(float))
        values = values[np.isfinite(values)]
        shown = np.unique(np.linspace(0, len(values), _STEPS).astype(int)) if len(values) > _STEPS else slice(None)
        shares = np.arange(len(values) + 1) / max(total, 1) * 100
        steps[column] = np.append(0.0, values)[shown], shares[shown]
    edge = max([times[-1] for times, _ in steps.values()]) * 1.05 or 1.0
    for column, style, color, label in (
        ("window_lower_s", "-", BLUE, "at most (every window as short as possible)"),
        ("window_upper_s", "--", RED, "at least (every window as long as possible)"),
    ):
        times, shares = steps[column]
        ax.step([*times, edge], [*shares, shares[-1]], style, where="post", color=color, linewidth=1.8, label=label)
    _between(ax, steps["window_lower_s"], steps["window_upper_s"], edge)
    never = int(np.isinf(rows["window_upper_s"]).sum())
    ax.set(xlabel="race window [s]", ylabel="starts at risk [%]", ylim=(0, 104), xlim=(0, edge))
    ax.set_title(
        f"Race windows of {total:,} starts" + (f"; {never:,} never seen ready" if never else ""),
        loc="left",
        fontsize=10,
    )
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


_STEPS = 300  # of a curve: more lie closer than a pixel or so


def _between(ax, upper, lower, edge: float) -> None:
    """Shade what lies between two step curves, each (times, shares)."""
    times = np.unique(np.concatenate([upper[0], lower[0], [edge]]))
    high, low = (shares[np.searchsorted(at, times, side="right") - 1] for at, shares in (upper, lower))
    ax.fill_between(times, low, high, step="post", color=GREY, alpha=0.25, linewidth=0)


def plot_incidence(incidence: pd.DataFrame, ax=None, *, most: int = 25):
    """Share of harmed starts by group: a hatched band for undetermined starts, whiskers for 95 % confidence."""
    rows = incidence[incidence["at_risk"] > 0].head(most).iloc[::-1].reset_index(drop=True)
    ax = _axes(ax, 8, 1.1 + 0.26 * max(len(rows), 1))
    by = list(incidence.columns[: list(incidence.columns).index("starts")])
    at = np.arange(len(rows))
    share, width = rows["share_lower"] * 100, (rows["share_upper"] - rows["share_lower"]) * 100
    ax.hlines(at, rows["ci_lower"] * 100, rows["ci_upper"] * 100, color=GREY, linewidth=1.4, label="95 % confidence")
    if (width > 0).any():
        ax.barh(at, width, left=share, height=0.5, facecolor="none", edgecolor=ORANGE, hatch="////",
                label="undetermined, may be harmed")  # fmt: skip
    ax.plot(share, at, "o", color=RED, markersize=6, markeredgecolor=_paper(), label="harmed", clip_on=False, zorder=3)
    names = [" / ".join(_short(str(row[name]), 34) for name in by) for _, row in rows.iterrows()]
    labels = [f"{name}  ({row.harmed} of {row.at_risk})" for name, row in zip(names, rows.itertuples(), strict=True)]
    ax.set_yticks(at, labels, fontsize=8)
    ax.set(xlabel="harmed starts, share of those at risk [%]", xlim=(0, 100), ylim=(-0.7, max(len(rows), 1) - 0.3))
    ax.set_title(harmed_of(incidence), loc="left", fontsize=10)
    _legend_below(ax)
    return ax


def harmed_of(incidence: pd.DataFrame) -> str:
    """How many starts of an incidence table were harmed, of how many at risk, and how many cannot be told."""
    unknown = int(incidence["undetermined_at_risk"].sum())
    return _harmed(int(incidence["harmed"].sum()), int(incidence["at_risk"].sum()), unknown)


def plot_hours(counts: pd.DataFrame, ax=None, *, what: str = "starts", most: int = 25):
    """A heat map of a finished table: rows are workloads, columns hours, values counts of `what`.

    Columns that are times stand side by side; a dotted line between two stands for time that has no column. The
    year stands with each of them where they differ, else below.
    """
    shown = counts.head(most)
    ax = _axes(ax, 8, 1.4 + 0.26 * max(len(shown), 1))
    values = shown.to_numpy(float)
    top = values.max() if values.size else 1
    blank = np.where(values > 0, values, np.nan)
    image = ax.imshow(blank, aspect="auto", interpolation="none", cmap="cividis_r", vmin=0, vmax=max(top, 1))
    ax.set_yticks(range(len(shown)), [_short(str(name), 60) for name in shown.index], fontsize=8)
    hours, below, breaks = _hours(shown.columns)
    every = max(1, -(-len(hours) // 24))
    ax.set_xticks(range(0, len(hours), every), hours[::every], rotation=90 if len(hours) > 6 else 0, fontsize=7)
    ax.set_xlabel(below)
    for after in breaks:
        ax.axvline(after - 0.5, color=_paper(), linewidth=4)
        ax.axvline(after - 0.5, color=_ink(), linewidth=1, linestyle=":")
    if len(hours) <= 24:
        for row, column in np.argwhere(values > 0):
            ink = "white" if values[row, column] > top * 0.5 else "black"
            ax.text(column, row, f"{int(values[row, column]):,}", ha="center", va="center", fontsize=7, color=ink)
    else:
        ax.figure.colorbar(image, ax=ax, label=what)
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    left = f"; {len(counts) - len(shown):,} more rows" if len(counts) > len(shown) else ""
    ax.set_title(f"{int(counts.to_numpy(float).sum()):,} {what}{left}", loc="left", fontsize=10)
    return ax


def _hours(columns: pd.Index) -> tuple[list[str], str, list[int]]:
    """The columns' labels, what stands below them, and which columns follow on time that has none."""
    if not len(columns) or not all(isinstance(name, pd.Timestamp) for name in columns):
        return [str(name) for name in columns], "time (UTC), from", []
    times = pd.DatetimeIndex(columns).as_unit("ns")
    one_year = times.year.min() == times.year.max()
    below = f"time in {times.year.min()} (UTC), from" if one_year else "time (UTC), from"
    width = np.gcd.reduce(np.append(times.asi8, _DAY))  # hours are multiples of an hour
    breaks = (np.flatnonzero(np.diff(times.asi8) > width) + 1).tolist()
    labels = times.strftime("%m-%d %H:%M" if one_year else "%Y-%m-%d %H:%M").tolist()
    return labels, below + ("; a dotted line: time left out" if breaks else ""), breaks


_DAY = pd.Timedelta(1, "D").value


def plot_compare(compare: pd.DataFrame, ax=None, *, most: int = 25):
    """Before and after, group by group: the share of harmed starts with its 95 % confidence interval.

    `compare` has a row for each group and period (`before`, `after`): group, period, starts, harmed, share_lower,
    share_upper, ci_lower, ci_upper (proportions). The hatched part of a bar is what undetermined starts leave open.
    """
    groups = list(dict.fromkeys(compare["group"]))[:most]
    ax = _axes(ax, 8, 1.2 + 0.5 * max(len(groups), 1))
    place = {group: at for at, group in enumerate(reversed(groups))}
    for period, offset, color, marker in (("before", 0.17, RED, "X"), ("after", -0.17, BLUE, "o")):
        rows = compare[(compare["period"] == period) & compare["group"].isin(groups)]
        at = rows["group"].map(place) + offset
        share, width = rows["share_lower"] * 100, (rows["share_upper"] - rows["share_lower"]) * 100
        ax.hlines(at, rows["ci_lower"] * 100, rows["ci_upper"] * 100, color=color, linewidth=1.6)
        if (width > 0).any():
            ax.barh(at, width, left=share, height=0.22, facecolor="none", edgecolor=color, hatch="////")
        ax.plot(share, at, marker, color=color, markersize=7, markeredgecolor=_paper(), label=period, clip_on=False)
        for spot, low, row in zip(at, share, rows.itertuples(), strict=True):
            right = row.ci_upper * 100 if not pd.isna(row.ci_upper) else low
            words = f"{row.harmed:,} of {row.starts:,}"
            ax.annotate(words, (right, spot), (6, 0), textcoords="offset points", va="center", fontsize=7,
                        annotation_clip=False)  # fmt: skip
    ax.set_yticks(list(place.values()), [_short(str(group), 40) for group in place], fontsize=8)
    ax.set(xlabel="harmed starts, share of those at risk [%]", xlim=(0, 100), ylim=(-0.6, max(len(groups), 1) - 0.4))
    sums = compare.groupby("period")[["harmed", "starts"]].sum()
    told = [f"{name} {sums.loc[name, 'harmed']:,} of {sums.loc[name, 'starts']:,}" for name in ("before", "after")
            if name in sums.index]  # fmt: skip
    ax.set_title(f"Harmed starts: {', '.join(told)}", loc="left", fontsize=10)
    _legend_below(ax)
    return ax


def _legend_below(ax) -> None:
    """A legend that covers nothing, whatever the height of the figure."""
    ax.figure.legend(*ax.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=3)


def _axes(ax, width: float, height: float):
    """The axes to draw on, new ones of this size in inches if none are given, without needless ink."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(width, height), layout="constrained")[1]
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", linewidth=0.5, alpha=0.6)
    ax.set_axisbelow(True)
    return ax


def _ink() -> str:
    import matplotlib

    return matplotlib.rcParams["text.color"]


def _paper() -> str:
    import matplotlib

    return matplotlib.rcParams["axes.facecolor"]


def _short(text, limit: int) -> str:
    """A label that no name from a log can spoil: printable, short, no markup of the plotting library.

    Names of Kubernetes are ASCII; what the figure's font may lack becomes "?".
    """
    kept = (letter if letter.isprintable() and ord(letter) < 0x250 else "?" for letter in str(text)[: limit + 1])
    text = "".join(kept).replace("$", r"\$")
    return text if len(text) <= limit else text[:limit] + "…"
