"use strict";
// A file of what a page made itself: the browser asks where to put it, or puts it among the downloads.
function saveFile(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
