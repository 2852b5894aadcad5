"""Widgets that draw lines: only those in sight, and only those that have changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from hedger.dashboard.sheet import Drawn, Sheet, Tone, clipped, laid_out

#: Blue and orange are told apart by nearly everybody, and each is told by words as well.
STYLES = {
    Tone.PLAIN: Style(),
    Tone.DIM: Style(dim=True),
    Tone.GOOD: Style(color="bright_cyan"),
    Tone.WARN: Style(color="#ffaf00"),
    Tone.BAD: Style(color="#ffaf00", bold=True, reverse=True),
    Tone.HEAD: Style(bold=True),
}
_CURSOR = Style(bold=True, underline=True)


class Lines(Widget):
    """A few lines of text, each with a tone."""

    def __init__(self, id: str, height: int) -> None:
        super().__init__(id=id)
        self.styles.height = height
        self._lines: tuple[tuple[str, Tone], ...] = ()

    @property
    def texts(self) -> list[str]:
        """Its lines as plain text, top to bottom."""
        return [text for text, _ in self._lines]

    def show(self, lines: Sequence[tuple[str, Tone]]) -> None:
        """Say these lines from now on; what has not changed is not drawn again."""
        before, self._lines = self._lines, tuple(lines)
        for y in range(max(len(before), len(self._lines))):
            if before[y : y + 1] != self._lines[y : y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One line of it."""
        width = self.size.width
        text, tone = self._lines[y] if y < len(self._lines) else ("", Tone.PLAIN)
        text = clipped(text, width)
        style = self.rich_style + STYLES[tone]
        return Strip([Segment(set_cell_size(text, width), style)], width)


class Grid(ScrollView, can_focus=True, inherit_bindings=False):
    """A sheet with a cursor that stays on its line, whatever moves around it.

    The library's own keys for scrolling are not wanted: they would move a long sheet and leave the cursor on
    a line out of sight, which the next key would act on.
    """

    class Chosen(Message):
        """Enter was pressed on a line."""

        def __init__(self, drawn: Drawn) -> None:
            super().__init__()
            self.drawn = drawn

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._sheet: Sheet = ()
        self._wanted = ""
        self._drawn: list[Drawn] = []
        self._at = 0
        self.drawn_lines = 0

    # ----------------------------------------------------------------------------------------------- contents

    @property
    def texts(self) -> list[str]:
        """Every line, in sight or not."""
        return [drawn.text for drawn in self._drawn]

    @property
    def current(self) -> Drawn | None:
        """The line under the cursor."""
        return self._drawn[self._at] if self._at < len(self._drawn) else None

    def show(self, sheet: Sheet, wanted: str = "", *, anew: bool = False) -> None:
        """Show a sheet; anew: another panel, from its top."""
        if sheet is self._sheet and wanted == self._wanted and not anew:
            return
        self._sheet, self._wanted = sheet, wanted
        self._lay_out(anew)

    def _lay_out(self, anew: bool = False) -> None:
        before, key = self._drawn, "" if anew or self.current is None else self.current.key
        # a column is left for the scroll bar, be it there or not: nothing moves when it comes
        width = self.outer_size.width - self.styles.scrollbar_size_vertical
        self._drawn = laid_out(self._sheet, max(width, 20), self._wanted)
        size = Size(self.size.width, len(self._drawn))
        if size != self.virtual_size:
            self.virtual_size = size
        if anew:
            self.scroll_to(y=0, animate=False, force=True)
        at = self._at
        places = [i for i, drawn in enumerate(self._drawn) if drawn.key]
        same = [i for i in places if self._drawn[i].key == key] if key else []
        if same:
            self._at = same[0]
        elif places:
            self._at = places[0] if anew else min(places, key=lambda i: abs(i - at))
        else:
            self._at = 0
        if len(before) != len(self._drawn) or anew:
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._drawn, strict=True)):
            if old is not new and (old.text, old.tone) != (new.text, new.tone):
                self.refresh_line(y)
        if at != self._at:
            self.refresh_line(at)
            self.refresh_line(self._at)

    def on_resize(self) -> None:
        """The columns that fit may be others now."""
        self._lay_out()
        self.refresh()

    # ------------------------------------------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """A line in sight; the first one is the head of its columns once they are scrolled away."""
        width, top = self.size.width, round(self.scroll_y)
        self.drawn_lines += 1
        place = top + y
        if y == 0 and top and place < len(self._drawn) and self._drawn[place].head:
            text, style = self._drawn[place].head, STYLES[Tone.HEAD]
        elif place < len(self._drawn):
            drawn = self._drawn[place]
            text, style = drawn.text, STYLES[drawn.tone]
            if place == self._at and drawn.key:
                text, style = ">" + text[1:], style + _CURSOR
        else:
            text, style = "", STYLES[Tone.PLAIN]
        return Strip([Segment(set_cell_size(text, width), self.rich_style + style)], width)

    # ------------------------------------------------------------------------------------------------- moving

    def move(self, by: int) -> None:
        """The cursor so many lines on, to the nearest on which it can stand."""
        places = [i for i, drawn in enumerate(self._drawn) if drawn.key]
        if not places:
            self.scroll_to(y=self.scroll_y + by, animate=False)
            return
        if by > 0:
            later = [i for i in places if i > self._at]
            target = min((i for i in later if i >= self._at + by), default=later[-1] if later else self._at)
        else:
            sooner = [i for i in places if i < self._at]
            target = max((i for i in sooner if i <= self._at + by), default=sooner[0] if sooner else self._at)
        self._go(target)

    def move_to_end(self, last: bool) -> None:
        """The first line, or the last."""
        places = [i for i, drawn in enumerate(self._drawn) if drawn.key] or [0]
        self._go(places[-1] if last else places[0])
        if not last:
            self.scroll_to(y=0, animate=False)

    def page(self) -> int:
        """Lines of a page."""
        return max(self.size.height - 2, 1)

    def choose(self) -> None:
        """Enter."""
        if self.current is not None and self.current.key:
            self.post_message(self.Chosen(self.current))

    def _go(self, target: int) -> None:
        before, self._at = self._at, target
        self.refresh_line(before)
        self.refresh_line(target)
        top, height = round(self.scroll_y), self.size.height
        if target <= top and top > 0:  # the head of the columns covers the first line
            self.scroll_to(y=max(target - 1, 0), animate=False)
        elif target >= top + height:
            self.scroll_to(y=target - height + 1, animate=False)
