"""Checks a call against the parameters of a job's function, before anything is written.

Pure: it knows functions and arguments, no database. A mistake that Python would find when
the job runs is found here, while the caller can still see it.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Self

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a job, as the caller of `enqueue` sees them: without the context.

    `positional` are the names of those that may be given by place, `required` is how many of
    them have no default, `by_place` says that a call by place alone can be complete.
    """

    job: str
    signature: Signature
    positional: tuple[str, ...]
    required: int
    by_place: bool

    @classmethod
    def of(cls, job: str, signature: Signature) -> Self:
        """Return the parameters of the function called `job` with `signature`."""
        parameters = signature.parameters.values()
        positional = [item for item in parameters if item.kind in _POSITIONAL]
        only_named = [item for item in parameters if item.kind is Parameter.KEYWORD_ONLY]
        return cls(
            job=job,
            signature=signature,
            positional=tuple(item.name for item in positional),
            required=sum(item.default is Parameter.empty for item in positional),
            by_place=all(item.default is not Parameter.empty for item in only_named),
        )

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, naming the parameter, unless the function takes this call."""
        if not self.fit(args, kwargs):
            problem = self._problem(args, kwargs)
            raise TypeError(
                f"{self.job}() {problem} Signature: {self.describe()}. Nothing was enqueued."
            )

    def fit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Say whether the function takes this call; by place alone that costs next to nothing."""
        if not kwargs and self.by_place and self.required <= len(args) <= len(self.positional):
            return True
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError:
            return False
        return True

    def by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call that fits, by the names of their parameters.

        What a `**parameter` collects is there twice: under its name, and each by its own.
        """
        return {**kwargs, **self.signature.bind(*args, **kwargs).arguments}

    def values(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call that fits by name, with the defaults of those not given."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {**bound.arguments}

    def names_by_place(self, count: int) -> list[str]:
        """Return the names of the parameters that take the first `count` arguments by place."""
        rest = self._collector(Parameter.VAR_POSITIONAL)
        return [*self.positional, *[rest] * count][:count]

    def names_for(self, name: str) -> set[str]:
        """Return the names under which an argument given by name is known: its own, its group's."""
        if name in self.signature.parameters:
            return {name}
        return {name, self._collector(Parameter.VAR_KEYWORD)}

    def describe(self) -> str:
        """Return the function's head as people write it: `send(user: int) -> str`."""
        shown = [
            item.replace(annotation=_plain(item.annotation))
            for item in self.signature.parameters.values()
        ]
        returns = _plain(self.signature.return_annotation)
        return f"{self.job}{Signature(shown, return_annotation=returns)}"

    def accepts(self, name: str) -> bool:
        """Say whether the function has a parameter called `name`, or takes any."""
        parameters = self.signature.parameters
        takes_any = any(item.kind is Parameter.VAR_KEYWORD for item in parameters.values())
        return name in parameters or takes_any

    def _collector(self, kind: Any) -> str:
        names = [item.name for item in self.signature.parameters.values() if item.kind is kind]
        return names[0] if names else ""

    def _problem(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        parameters = self.signature.parameters
        takes_more = any(item.kind is Parameter.VAR_POSITIONAL for item in parameters.values())
        if len(args) > len(self.positional) and not takes_more:
            count = len(self.positional)
            noun = "argument" if count == 1 else "arguments"
            return f"takes {count} positional {noun}, but {len(args)} were given."
        twice = [name for name in self.positional[: len(args)] if name in kwargs]
        if twice and parameters[twice[0]].kind is not Parameter.POSITIONAL_ONLY:
            return f'gets "{twice[0]}" twice: by place and by name.'
        for name in kwargs:
            if not self.accepts(name):
                match = difflib.get_close_matches(name, parameters, n=1)
                hint = f' Did you mean "{match[0]}"?' if match else ""
                return f'has no parameter "{name}".{hint}'
        return self._missing(len(args), kwargs)

    def _missing(self, given: int, kwargs: Mapping[str, Any]) -> str:
        by_place = set(self.positional[:given])
        missing = [
            f'"{item.name}"'
            for item in self.signature.parameters.values()
            if item.default is Parameter.empty
            and item.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
            and item.name not in by_place
            and (item.name not in kwargs or item.kind is Parameter.POSITIONAL_ONLY)
        ]
        return f"is missing {' and '.join(missing)}."


class _Text(str):
    """A postponed annotation that is shown without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _plain(annotation: Any) -> Any:
    return _Text(annotation) if isinstance(annotation, str) else annotation
