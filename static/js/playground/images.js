// The images of the message that is being written: chosen, pasted or dropped files become data URLs, addresses stay what they are.
import { element, fill } from "../format.js";

const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MIB = 1024 * 1024;
// Their text in a request is a third longer, and the gateway takes 8 MiB at once.
const LARGEST = 5 * MIB;
const THUMB_PIXELS = 144;

const asDataUrl = (file) =>
  new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(file);
  });

// Small copies of what was chosen, by address. They are drawn: a page of ours loads images from nowhere but the gateway,
// data URLs included, and showing one of a web address would tell that host who looks at it.
const copies = new Map();

async function remember(url, blob) {
  copies.set(url, await createImageBitmap(blob, { resizeHeight: THUMB_PIXELS, resizeQuality: "medium" }));
}

const blobOf = (url) => new Blob([Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0))]);

export function picture({ url, name }, words) {
  const copy = copies.get(url);
  if (!copy) return element("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, url);
  const canvas = element("canvas", { role: "img", "aria-label": name || words.image, title: name, width: copy.width, height: copy.height });
  canvas.getContext("2d").drawImage(copy, 0, 0);
  return canvas;
}

// `parts`: the elements to use. `tell(text)` says what is wrong. `changed()` is called when there is another image, or none.
export function attachments(parts, words, tell, changed) {
  let images = [];

  function draw() {
    parts.list.replaceChildren(...images.map((image, position) => {
      const name = image.name || image.url;
      const remove = element("button", { type: "button", class: "button quiet icon-button", "aria-label": fill(words.remove_image, { name }) }, "✕");
      remove.addEventListener("click", () => {
        images = images.filter((each) => each !== image);
        draw();
        (parts.list.querySelectorAll("button")[Math.min(position, images.length - 1)] ?? parts.message).focus();
      });
      return element("li", {}, picture(image, words), remove);
    }));
    parts.list.hidden = !images.length;
    changed();
  }

  async function take(files) {
    const problems = [];
    for (const file of files) {
      const name = file.name || words.image;
      if (file.size > LARGEST) problems.push(fill(words.image_size, { name, size: (file.size / MIB).toFixed(1), limit: LARGEST / MIB }));
      else if (!KINDS.includes(file.type)) problems.push(fill(words.image_kind, { name }));
      else await takeFile(file, name).catch(() => problems.push(fill(words.image_broken, { name })));
    }
    tell(problems.join(" "));
    draw();
  }

  async function takeFile(file, name) {
    const url = await asDataUrl(file);
    await remember(url, file);
    images = [...images, { url, name }];
  }

  async function takeAddress() {
    const url = parts.address.value.trim();
    if (!(await isImage(url))) {
      tell(words.image_address);
      return parts.address.focus();
    }
    tell("");
    images = [...images, { url, name: "" }];
    parts.address.value = "";
    draw();
  }

  async function isImage(url) {
    if (/^https?:\/\//i.test(url)) return URL.canParse(url);
    if (!KINDS.some((kind) => url.startsWith(`data:${kind};base64,`))) return false;
    return Promise.resolve().then(() => remember(url, blobOf(url))).then(() => true, () => false);
  }

  parts.file.addEventListener("change", async () => {
    await take([...parts.file.files]);
    parts.file.value = "";
  });
  parts.add.addEventListener("click", takeAddress);
  parts.address.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    takeAddress();
  });
  const given = (transfer) => [...(transfer?.files ?? [])];
  parts.message.addEventListener("paste", (event) => {
    if (!given(event.clipboardData).length) return;
    event.preventDefault();
    take(given(event.clipboardData));
  });
  parts.message.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  parts.message.addEventListener("drop", (event) => {
    if (!given(event.dataTransfer).length) return;
    event.preventDefault();
    take(given(event.dataTransfer));
  });

  return {
    get: () => images,
    set: (others) => {
      images = others;
      draw();
    },
  };
}
