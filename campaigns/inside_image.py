"""Runs inside a runtime's image: which shared libraries does nothing there provide?

Every ELF file of the environment is asked what it needs (``ldd``). What the loader's own search does not find
may still be mapped once the engine is there: frameworks load libraries of their wheels themselves, by path,
before the one that names them. So the engine's parts are imported as the server imports them, and what is
mapped then counts as found. Prints one JSON object on its last line.
"""

import importlib
import json
import site
import subprocess
import sys
from pathlib import Path

_AT_ONCE = 200


def elf_files(root: Path) -> list[Path]:
    """Return every ELF file below a folder."""
    found = (path for path in sorted(root.rglob("*.so*")) if path.is_file())
    return [path for path in found if path.open("rb").read(4) == b"\x7fELF"]


def unresolved(files: list[Path]) -> dict[str, list[str]]:
    """Return the libraries that the loader doesn't find, with the files that need them."""
    missing: dict[str, list[str]] = {}
    for begin in range(0, len(files), _AT_ONCE):
        some = [str(path) for path in files[begin : begin + _AT_ONCE]]
        said = subprocess.run(["ldd", *some], capture_output=True, text=True, check=False).stdout
        asking = some[0]
        for line in said.splitlines():
            if not line.startswith("\t"):
                asking = line.removesuffix(":")
            elif "=> not found" in line:
                missing.setdefault(line.split()[0], []).append(asking)
    return missing


def mapped() -> set[str]:
    """Return the names of the libraries in this process."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return {Path(line.split()[-1]).name for line in lines if ".so" in line}


def _beside(name: str, users: list[str]) -> bool:
    """Tell whether a library lies beside each file that needs it: its wheel's own loader finds it there."""
    return all((Path(user).parent / name).exists() for user in users)


def main() -> None:
    """Look, and print what was found."""
    root = Path(site.getsitepackages()[0])
    files = elf_files(root)
    missing = unresolved(files)
    importlib.import_module(f"greenbench_runtime.engines.{sys.argv[1]}").engine().facts()
    if ort := sys.modules.get("onnxruntime"):
        ort.preload_dlls()  # as its engine does before a session on CUDA
    if start := sys.modules.get("greenbench_runtime.networks.mxnet_start"):
        start.load_cuda()  # as its engine does before it imports MXNet
    loaded = mapped()
    relative = {
        name: [str(Path(user).relative_to(root)) for user in users]
        for name, users in missing.items()
        if name not in loaded and not _beside(name, users)
    }
    print(
        json.dumps(
            {
                "files": len(files),
                "loaded_by_itself": sorted(set(missing) & loaded),
                "missing": relative,
            }
        )
    )


if __name__ == "__main__":
    main()
