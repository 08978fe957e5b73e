"""The text of a definition: YAML as people write it, read strictly.

In:    a text.
Out:   plain values.
Never: an alias (with them a short text stands for more than any memory holds); a name that stands twice, of which one
       would silently win.
"""

import re
from typing import Any

import yaml


class NotReadable(Exception):
    """The text is none that can be read; the message goes on after "it is" or "they are"."""


_TRUTH = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    # A day stays as it was written: which kind of instant it is says the field that it stands in. And only true and
    # false are truths, as YAML 1.2 has it: NO is a country.
    yaml_implicit_resolvers = {  # noqa: RUF012 -- as the library declares it
        first: [one for one in told if one[0] not in ("tag:yaml.org,2002:timestamp", _TRUTH)]
        for first, told in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "write it out: an alias is not taken here", self.current_event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, "a name stands here twice, and one would be lost", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_TRUTH, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_yaml(text: str) -> Any:
    """Read a definition's text. Raises NotReadable, which says where."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader that takes less
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise NotReadable(f"no YAML: {exc.problem}{where}.") from None
    except yaml.YAMLError:
        raise NotReadable("no YAML: a character in it cannot be written there.") from None
    except RecursionError:
        raise NotReadable("no YAML: it does not end.") from None
    except ValueError:
        raise NotReadable("no YAML: a number in it is none that there is.") from None
