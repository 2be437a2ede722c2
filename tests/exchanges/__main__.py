"""Writes ``differences.diff`` again."""

from tests.exchanges import patches
from tests.exchanges.test_exchanges import all_patches

patches.FILE.write_text(
    "".join(f"exchange {number}\n" + "".join(f"{line}\n" for line in lines) for number, lines in all_patches()),
    encoding="utf-8",
)
