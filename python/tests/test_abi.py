"""python/s2a/_abi.py says the same as include/s2a.h."""
import ctypes
import re
import typing

import pytest

import s2a
from conftest import TOP
from s2a import _abi, _engine, _errors

HEADER = re.sub(r"/\*.*?\*/", "", (TOP / "include/s2a.h").read_text(), flags=re.S)


def fields(struct):
    """Names of a structure's members, in order."""
    body = re.search(r"typedef struct %s \{(.*?)\n?\} %s;" % (struct, struct), HEADER, re.S).group(1)
    for member in filter(None, (m.strip() for m in body.split(";"))):
        if function := re.search(r"\(\*(\w+)\)", member):
            yield function.group(1)
        else:
            yield from (re.search(r"(\w+)(\[\d+\])?$", part.strip()).group(1) for part in member.split(","))


def names_of(macro):
    body = re.search(r"#define %s\(X\)(.*?)\n\n" % macro, HEADER, re.S).group(1)
    return re.findall(r'X\((\w+), "([^"]*)"\)', body)


@pytest.mark.parametrize("struct, mirror", [
    ("s2a_error", _abi.Error), ("s2a_engine_options", _abi.EngineOptions), ("s2a_span", _abi.Span),
    ("s2a_unit", _abi.Unit), ("s2a_usage", _abi.Usage), ("s2a_turn", _abi.Turn),
    ("s2a_document", _abi.Document)])
def test_fields(struct, mirror):
    assert list(fields(struct)) == [name for name, _ in mirror._fields_]


def test_options_size():
    assert _abi.engine_options(_abi.lib).size == ctypes.sizeof(_abi.EngineOptions)


def test_functions_are_declared():
    for name, (_, arguments) in _abi._FUNCTIONS.items():
        declared = re.search(r"S2A_API [^;]*?\bs2a_%s\(([^;]*)\);" % name, HEADER)
        assert declared, name
        parameters = [] if declared.group(1) == "void" else declared.group(1).split(",")
        assert len(parameters) == len(arguments), name


def test_version():
    assert [int(n) for n in s2a.__version__.split(".")[:2]] == list(_abi.VERSION)
    assert tuple(int(n) for n in re.findall(r"VERSION_(?:MAJOR|MINOR) (\d+)", HEADER)) == _abi.VERSION


def test_another_version(monkeypatch):
    monkeypatch.setattr(_abi, "VERSION", (9, 9))
    with pytest.raises(ImportError, match="version 0.1.0, and this package needs 9.9"):
        _abi.load(_abi.native("libs2a.so"))


class Older:
    """A library whose options are shorter."""

    @staticmethod
    def engine_options_init(room):
        _abi.lib.engine_options_init(room)
        _abi.EngineOptions.from_buffer(room).size -= 8


def test_an_older_library():
    with pytest.raises(ImportError, match="s2a_engine_options has"):
        _abi.engine_options(Older)


def test_presets():
    names = [text for _, text in names_of("S2A_PRESET_MAP")]
    assert sorted(typing.get_args(_engine.Preset)) == sorted(names)


def test_modes(scripted):
    for mode in typing.get_args(_engine.Mode):
        scripted("@score 1 1")._call(False, "x", mode=mode)


def test_every_option_has_an_argument():
    import inspect

    arguments = set(inspect.signature(s2a.Engine).parameters)
    assert arguments == set(fields("s2a_engine_options")) - {"size", "log_ctx"}


def test_request_arguments_are_typed():
    import inspect

    taken = set(inspect.signature(s2a.Engine._call).parameters) - {"self", "answers", "text"}
    assert taken == set(_engine.AnswerOptions.__annotations__) | set(_engine.Options.__annotations__)


def test_errors_have_classes():
    known = {"S2A_" + name for name, _ in names_of("S2A_STATUS_MAP")}
    assert set(_errors._CLASSES) < known
    assert known - set(_errors._CLASSES) == {"S2A_OK", "S2A_IO", "S2A_INTERNAL"}
