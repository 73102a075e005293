"""Make `import cv2` work on a machine without a screen.

AtomAI asks for opencv-python, whose wheel links against libGL and GLib. Servers and containers often have
neither, and installing them needs an administrator. The headless wheel of the same version is the same
library without windows, and nothing in the course opens one.
"""

import importlib.metadata
import subprocess
import sys


def cv2_error() -> str:
    """Return what `import cv2` says in a fresh interpreter, or an empty string."""
    result = subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True, text=True)
    return result.stderr.strip() if result.returncode else ""


def main() -> int:
    error = cv2_error()
    if not error:
        return 0
    if "cannot open shared object file" not in error:
        sys.exit(f"OpenCV does not load, and not for the want of a system library:\n{error}")
    print(f"opencv-python does not load here ({error.splitlines()[-1]}); taking the headless build instead.")
    version = importlib.metadata.version("opencv-python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "--yes", "opencv-python"], check=True)
    subprocess.run([*pip, "install", "--no-deps", f"opencv-python-headless=={version}"], check=True)
    if error := cv2_error():
        sys.exit(f"OpenCV still does not load:\n{error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
