"""How each venue writes a change of a book, as far as it must be known to find the book: whose it is."""

from __future__ import annotations

from dataclasses import dataclass

from venues.wire import book_kernel as kernel


@dataclass(frozen=True, slots=True)
class BookForm:
    """head: how a frame begins; mark: what stands before its symbol, after the head; end: what behind it;
    shape: the kernel's."""

    head: str
    mark: str
    end: str
    shape: int


DERIBIT = BookForm(kernel.DERIBIT_HEAD, "", ".", kernel.DERIBIT)
OKX = BookForm(kernel.OKX_HEAD, "", '"', kernel.OKX)
BYBIT = BookForm(kernel.BYBIT_HEAD, '"s":"', '"', kernel.BYBIT)
BINANCE = BookForm(kernel.BINANCE_HEAD, '"s":"', '"', kernel.BINANCE)
