"""How the terminal is framed and where its dialogs stand: below the header, which stays in sight."""

CSS = """
Screen { background: $background; }
#frame { border: round #5fafff; padding: 0; height: 100%; border-title-style: bold; }
#frame.live { border: outer #ff5f00; border-title-background: #ff5f00; border-title-color: black;
              border-subtitle-background: #ff5f00; border-subtitle-color: black; }
#grid { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden; }
#filter { height: 1; border: none; padding: 0; display: none; }
#filter.open { display: block; }
#frame.small { border: none; }
#frame.small #tabs, #frame.small #grid, #frame.small #strip { display: none; }
ModalScreen { background: $background 60%; }
Dialog { align: center top; }
#dialog { width: 92%; max-width: 120; height: auto; margin: 5 0 0 0; border: heavy $warning;
          background: $surface; padding: 0 1; }
#dialog-title { text-style: bold; height: 1; }
#dialog-body { height: auto; scrollbar-size-vertical: 1; }
.small #dialog { width: 100%; margin: 1 0 0 0; border: none; padding: 0; }
Palette #dialog-text { text-wrap: nowrap; text-overflow: ellipsis; }
#dialog-field { height: 1; border: none; padding: 0; background: $boost; }
#dialog-note { text-style: bold; height: auto; }
"""
