"""A browser to look at reports: Chromium without a window, driven through pipes."""

import json
import os
import select
import subprocess
import time
from pathlib import Path

CHROMIUM_SECONDS = 60
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
# Texts whose contrast is below 4.5: a canvas turns any colour into red, green and blue, and lays one over another.
CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const one of colours) { canvas.fillStyle = one; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !one.checkVisibility() || ["SCRIPT", "STYLE"].includes(one.tagName)) continue;
    const behind = [];
    let opacity = 1;
    for (let up = one; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      behind.unshift(style.backgroundColor);
      opacity *= Number(style.opacity);
    }
    const style = getComputedStyle(one), ground = over(behind);
    const ink = over([...behind, one.closest("svg") ? style.fill : style.color]);
    const seen = ink.map((v, i) => opacity * v + (1 - opacity) * ground[i]);
    const [a, b] = [light(seen), light(ground)].sort();
    const ratio = (b + 0.05) / (a + 0.05);
    if (ratio < 4.5) poor.push([one.tagName, one.className, one.textContent.trim().slice(0, 30), ratio]);
  }
  return poor;
})()"""


class Chromium:
    """Headless Chromium, driven over a pair of pipes in the DevTools protocol: no port, no further package."""

    def __init__(self, program, profile):
        to_browser, ours = os.pipe()
        theirs, from_browser = os.pipe()
        # Without --no-sandbox it does not start for root, as in most containers.
        options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run"
        options += " --disable-sync --disable-background-networking --disable-component-update"
        # Nothing scrolls while it is clicked.
        options += " --force-prefers-reduced-motion --remote-debugging-pipe about:blank"
        # Chromium reads commands from descriptor 3 and answers on 4.
        connect = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        words = ["bash", "-c", connect, "bash", program, *options.split(), f"--user-data-dir={profile}"]
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        self.process = subprocess.Popen(words, pass_fds=(to_browser, from_browser), **quiet)
        os.close(to_browser)
        os.close(from_browser)
        self.ours, self.theirs = ours, theirs
        self.received, self.number, self.session, self.events = b"", 0, None, []
        (page,) = [one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        target = page["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """The result of one command; what happens meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        answer = self._next(lambda one: one.get("id") == self.number)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self, wanted):
        until = time.monotonic() + CHROMIUM_SECONDS
        while True:
            message, end, rest = self.received.partition(b"\0")
            if end:
                self.received, found = rest, json.loads(message)
                if "method" in found:
                    self.events.append(found)
                if wanted(found):
                    return found
                continue
            ready, _, _ = select.select([self.theirs], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self.theirs, 1 << 20) if ready else b""
            assert data, f"silent for {CHROMIUM_SECONDS} s, or ended ({self.process.poll()})"
            self.received += data

    def open(self, path, width=1200, height=900):
        """Load a file or a URL afresh, in a window of that size."""
        self.events.clear()
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self("Emulation.setDeviceMetricsOverride", **screen)
        is_url = "://" in str(path) or str(path).startswith("data:")
        self("Page.navigate", url=str(path) if is_url else Path(path).as_uri())
        if not any(one["method"] == "Page.loadEventFired" for one in self.events):
            self._next(lambda one: one.get("method") == "Page.loadEventFired")

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key):
        """A key, as a person presses it."""
        codes = {
            "Enter": 13,
            "Tab": 9,
            "Escape": 27,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
        }
        code = codes[key] if key in codes else ord(key.upper())
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        text = {"text": "\r" if key == "Enter" else key} if key == "Enter" or len(key) == 1 else {}
        self("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector):
        """The left button in the middle of an element, wherever it is."""
        place = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const box = one.getBoundingClientRect(); "
            "return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def drop(self, *files):
        """Files from a folder, let go above the middle of the window."""
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self("Input.dispatchDragEvent", type=kind, x=200, y=200, data=data)

    def wait_for(self, script):
        """Until a JavaScript expression is true."""
        until = time.monotonic() + CHROMIUM_SECONDS
        while not self.run(script):
            assert time.monotonic() < until, script
            time.sleep(0.05)

    def saves(self, script, folder):
        """The only file that the page saves into an empty folder while a script runs."""
        self("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.run(script)
        until = time.monotonic() + CHROMIUM_SECONDS
        while not (files := [one for one in Path(folder).iterdir() if one.suffix != ".crdownload"]):
            assert time.monotonic() < until, "no file was saved"
            time.sleep(0.05)
        (file,) = files
        return file

    def complaints(self, own="file:///"):
        """What went to the console, and every address asked for that is not the file itself, or does not begin so."""
        complaints = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        said = [one for one in self.events if one["method"] in complaints]
        requests = [one["params"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        asked = [one["request"]["url"] for one in requests]
        return said + [url for url in asked if not url.startswith((own, "data:"))]

    def close(self):
        os.close(self.ours)  # the end of its commands is the end of it
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)
