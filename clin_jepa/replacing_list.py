"""ReplacingList: a list of callbacks stands alone, wherever it comes from."""

from typing import Any

from jsonargparse._typehints import ActionTypeHint, NestedArg  # type: ignore[attr-defined]
from typing_extensions import override


class ReplacingList(ActionTypeHint):
    """An option whose list, given in a config or on the command line, replaces the one before it, whole.

    jsonargparse hands an entry the arguments of the entry at the same index of the list before it, where both lists are equally long: a
    phase would silently inherit the ``tau`` or the ``start`` of another one. ``callbacks+`` still appends, and an option of one entry, such
    as ``--trainer.callbacks.steps``, still changes the last entry.
    """

    @override
    def _check_type(self, value: Any, append: bool = False, cfg: Any = None, mode: Any = None) -> Any:
        changes_what_is_there = append or isinstance(value, NestedArg)
        return super()._check_type(value, append=append, cfg=cfg if changes_what_is_there else None, mode=mode)  # type: ignore[no-untyped-call]
