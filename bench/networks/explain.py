"""Says in a sentence why a stranger's code failed, on which of its lines, and what to do."""

import ast
import linecache
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import SHORT, UserError, clean, first_line, is_out_of_memory, text_of
from bench.networks.code import BENCH, is_installed
from bench.networks.importing import is_own
from bench.networks.libraries import is_needed, owner_of, versions

# The names on the package index of what is imported under another one. Of others, `_` becomes `-`.
ON_INDEX = {
    "cv2": "opencv-python", "PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
    "pywt": "PyWavelets", "git": "GitPython", "attr": "attrs", "dateutil": "python-dateutil", "osgeo": "gdal",
    "pkg_resources": "'setuptools<81'", "clip": "openai-clip",
    "DCNv3": "dcnv3", "DCNv4": "dcnv4", "skfuzzy": "scikit-fuzzy", "bs4": "beautifulsoup4",
}  # fmt: skip
# Packages that are built against CUDA; of the second kind there is none on the index.
NEED_CUDA = (
    "mamba_ssm",
    "causal_conv1d",
    "flash_attn",
    "natten",
    "inplace_abn",
    "spconv",
    "DCNv3",
    "DCNv4",
    "xformers",
)
FROM_SOURCE = ("selective_scan", "selective_scan_cuda", "selective_scan_cuda_core", "selective_scan_cuda_oflex", "apex",
               "depthwise_conv2d_implicit_gemm", "MinkowskiEngine", "dcn_v2", "_ext")  # fmt: skip
NO_GPU = ("No CUDA GPUs are available", "Found no NVIDIA driver", "not compiled with CUDA", "object on a CUDA device",
          "no CUDA-capable device", "accelerator device when none", "active drivers", "from Triton (cpu tensor?)",
          "driver on your system is too old", "Unexpected device type: cuda", "be a CUDA tensor")  # fmt: skip
OTHER_DEVICE = ("to be on the same device", "should be the same", "must be on the same device")
COMPILES = ("CUDA_HOME", "Ninja is required", "nvcc", "Error building extension")
CONNECTION = ("urllib.error", "http.client", "requests.", "urllib3.", "httpx", "httpcore", "huggingface_hub.", "socket",
              "ssl")  # fmt: skip
LEAST = 100  # characters that are left of an error's text, whatever stands behind it
WITHOUT = "build it with random weights: --arg pretrained=false"


class Reason(NamedTuple):
    """Why it failed, and what to do."""

    why: str
    advice: str


def explained(error: BaseException, line: str = "") -> str:
    """Why code failed, the line of the stranger's that did, and what to do; `line` is for errors that tell none.

    >>> explained(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
    "it imports 'cv2', which is not installed; install it: python -m pip install opencv-python"
    """
    why, advice = next(filter(None, (find(error) for find in REASONS)), _unknown(error))
    line = line_of(error) or line
    return f"{why}{f' ({line})' if line else ''}; {advice}"


def failure(name: str, errors: Sequence[BaseException], forward: Any, image: str, others: str) -> str:
    """Why a network takes no image: each of `errors` is of another size or number of channels.

    Advice on these is given only where the errors differ, and none has another reason. `image` and `others` are the
    images, in words; `forward` is the function that took them.
    """
    code = getattr(forward, "__code__", None)
    line = f"{_short(code.co_filename)}:{code.co_firstlineno}" if code and _is_strangers(code.co_filename) else ""
    known = next(filter(has_known_reason, errors), None)
    if known or len({(type(one), str(one)) for one in errors}) == 1:
        return f"{name} takes no image: {explained(known or errors[0], line)}"
    said = "; ".join(filter(None, (f"{type(errors[0]).__name__}: {_text(errors[0])}", line_of(errors[0]) or line)))
    advice = "declare what it takes: image_size = 256, in_channels = 3 beside it"
    return f"{name} takes no image of {image} ({said}), nor of {others}; {advice}"


def has_known_reason(error: BaseException) -> bool:
    """Whether it is told why code failed, and not only what Python says."""
    return any(find(error) for find in REASONS)


def called(builder: Callable[..., Any], arguments: Mapping[str, Any], name: str) -> Any:
    """What a stranger's class or function makes with these arguments. Raises UserError with the reason if it fails."""
    from bench.networks.unchanged import unchanged

    try:
        with unchanged(name, draws=True):
            return builder(**arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UserError(f"{name}({given}) cannot be built: {explained(error)}") from error


def line_of(error: BaseException) -> str:
    """The last line of a stranger's file that an error came through, as `file.py:3: code`; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename and _is_strangers(error.filename):
        return f"{_short(error.filename)}:{error.lineno}: `{_cut((error.text or '').strip())}`"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next(filter(None, (line_at(file, line) for file, line in reversed(frames))), "")


def line_at(file: str, line: int) -> str:
    """A line of a stranger's file, as `file.py:3: code`; empty if the file is the program's or a library's."""
    if not _is_strangers(file):
        return ""
    linecache.checkcache(file)
    return f"{_short(file)}:{line}: `{_cut(linecache.getline(file, line).strip())}`"


def crashed_at(error: BaseException) -> str:
    """The same of an error or, if it came through no stranger's file, of the nearest of those that led to it."""
    return next(filter(None, map(line_of, _chain(error))), "")


def crash(error: BaseException, log: Path, most: int = SHORT) -> str:
    """What was raised, on which line of a stranger's file, and the log that has the traceback.

    Where that has more than `most` characters, the end of the error's own text gives way, and the code of the line.
    """
    place, see = crashed_at(error), f"; see {log}"
    if len(place) + len(see) > most - LEAST:
        place = place.partition(": `")[0]
    rest = (f" ({place})" if place else "") + see
    return clean(f"{clean(type(error).__name__, 100)}: {first_line(error)}", max(LEAST, most - len(rest))) + rest


def _is_strangers(file: str) -> bool:
    path = Path(file)
    return path.is_absolute() and not (
        path.is_relative_to(BENCH) or is_installed(path) or "site-packages" in path.parts or not path.exists()
    )


def _short(file: str) -> str:
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _cut(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:87]}..."


def _text(error: BaseException) -> str:
    """The first line of an error's text; of a list of faults, the first fault too."""
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    return f"{lines[0]} {lines[1]}" if len(lines) > 1 and lines[0].endswith(":") else first_line(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def missing_package(module: str) -> Reason:
    """The reason of an import of a module that is not installed."""
    top = module.partition(".")[0]
    if is_own(top):
        rest = module.partition(".")[2] if top.startswith("own_") else module
        why = f"it imports '{rest}' of its own repository, which is not there"
        return Reason(why, "get the whole repository, with its submodules")
    if _spec(top):
        owner = owner_of(top) or top
        return Reason(f"it imports '{module}', which {_installed(owner)} does not have", _other_version(owner, top))
    name = ON_INDEX.get(top, top.replace("_", "-"))
    why = f"it imports '{top}', which is not installed"
    if top in FROM_SOURCE:
        return Reason(why, f"install '{top}' from its source, as its repository says; it needs CUDA")
    cuda = "; it needs CUDA" if top in NEED_CUDA else ""
    return Reason(why, f"install it: python -m pip install {name}{cuda}")


def _other_version(owner: str, package: str) -> str:
    remedy = (
        "change the line, for bench needs this one" if is_needed(package) else "install that one, or change the line"
    )
    return f"it was written for another version of {owner}: {remedy}"


def _spec(top: str) -> object:
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None


def _module(error: BaseException) -> Reason | None:
    return missing_package(error.name) if isinstance(error, ModuleNotFoundError) and error.name else None


def _name(error: BaseException) -> Reason | None:
    """A name that a library has no longer, or that an import in a `try` did not give."""
    if isinstance(error, ImportError) and "libGL" in text_of(error):
        return Reason(_text(error), "python -m pip install opencv-python-headless, which needs no display")
    pattern = r"cannot import name '(\w+)' from '([\w.]+)'|module '([\w.]+)' has no attribute '(\w+)'"
    if isinstance(error, ImportError | AttributeError) and (found := re.search(pattern, text_of(error))):
        name, module = found[1] or found[4], found[2] or found[3]
        package = module.partition(".")[0]
        if not is_own(package) and (owner := owner_of(package)):
            why = f"it takes '{name}' from '{module}', which {_installed(owner)} does not have"
            return Reason(why, _other_version(owner, package))
    if isinstance(error, NameError) and error.name and error.__traceback__:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        module = _imported_as(str(error.name), frame.f_code.co_filename)
        return missing_package(module) if module and not _spec(module.partition(".")[0]) else None
    return None


def _imported_as(name: str, file: str) -> str | None:
    """The module from which a file imports a name, if it does."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in nodes:
        for alias in node.names:
            if name in (alias.asname, alias.name.partition(".")[0]) and not getattr(node, "level", 0):
                return node.module if isinstance(node, ast.ImportFrom) else alias.name
    return None


def _exit(error: BaseException) -> Reason | None:
    if not isinstance(error, SystemExit):
        return None
    return Reason("it ends the program", "move what is for running it alone below `if __name__ == '__main__':`")


def _gpu(error: BaseException) -> Reason | None:
    text = text_of(error)
    if any(one in text for one in COMPILES):
        return Reason("it compiles code for CUDA", "run it on a machine with a GPU, a compiler and the CUDA toolkit")
    if any(one in text for one in NO_GPU):
        advice = "run it on a machine with one, or let it use the device of its input"
        return Reason("it asks for a GPU, and this process has none", advice)
    if isinstance(error, RuntimeError) and any(one in text for one in OTHER_DEVICE) and "cuda" in text:
        return Reason("it puts a tensor on a GPU while its input is on the CPU", "let it use the device of its input")
    return None


def _argument(error: BaseException) -> Reason | None:
    found = re.search(r"\b(\w+\.)?forward\(\) missing \d+ required \S+ arguments?: (.+)", text_of(error))
    if not (isinstance(error, TypeError) and found) or line_of(error):
        return None
    advice = "give it a default value, or name a class that calls it with an image alone"
    return Reason(f"its forward takes more than an image: {found[2]}", advice)


def _library(error: BaseException) -> Reason | None:
    """An argument that a library's class does not take any longer."""
    found = re.search(r"\b(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'", text_of(error))
    if not (isinstance(error, TypeError) and found):
        return None
    scopes = [frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = next((str(scope[found[1]].__module__) for scope in scopes if found[1] in scope), "").partition(".")[0]
    if not module or is_own(module) or not (owner := owner_of(module)):
        return None
    why = f"it gives {found[1]} of {_installed(owner)} an argument '{found[2]}' that it does not take"
    return Reason(why, _other_version(owner, module))


def _installed(owner: str) -> str:
    return f"the installed {owner} {versions([owner]).get(owner, '')}".strip()


def _download(error: BaseException) -> Reason | None:
    for one in _chain(error):
        module = f"{type(one).__module__}."
        if module.startswith(CONNECTION) or isinstance(one, ConnectionError | TimeoutError):
            why = f"it downloads {address_of(error) or 'a file'}, which failed ({_text(one)})"
            return Reason(why, f"run it once where there is a network, or {WITHOUT}")
    return None


def address_of(error: BaseException) -> str | None:
    """The address of a failed download: of the error, or of what the code was working on when it was raised."""
    for one in _chain(error):
        known = [getattr(one, "url", None), getattr(getattr(one, "request", None), "url", None)]
        frames = [frame for frame, _ in traceback.walk_tb(one.__traceback__)]
        for frame in reversed(frames):
            known += [getattr(value, "full_url", value) for value in frame.f_locals.values()]
        found = (str(value) for value in known if isinstance(value, str) and re.match(r"https?://\S+$", value))
        if address := next(found, None) or next(iter(re.findall(r"https?://[^\s'\"<>)]+", text_of(one))), None):
            return address
    return None


def _unknown(error: BaseException) -> Reason:
    return Reason(f"{type(error).__name__}: {_text(error)}", "correct it there")


def _file(error: BaseException) -> Reason | None:
    if isinstance(error, FileNotFoundError) and error.filename:
        advice = f"put it there (a relative path starts from {Path.cwd()})"
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        by_torch = any(frame.f_globals.get("__name__") == "torch.serialization" for frame in frames)
        more = f", or {WITHOUT}" if by_torch else ""
        return Reason(f"it reads '{error.filename}', which is not there", advice + more)
    if "Weights only load failed" in text_of(error):
        advice = f"give torch.load weights_only=False in that line if you trust the file, or {WITHOUT}"
        return Reason("it loads a file that holds more than weights, which torch refuses since 2.6", advice)
    return None


REASONS: tuple[Callable[[BaseException], Reason | None], ...] = (
    _module, _name, _exit, _gpu, _argument, _library, _download, _file,
)  # fmt: skip
