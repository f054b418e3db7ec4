// A mask painted over a picture: what is painted is drawn anew.
//
// props.value = {picture, width, height, mask}: the server sets all four, this sets the mask alone,
// a PNG as data: URI, white on black; "" where nothing is painted. Pixels are painted or not,
// without soft edges, so that the mask says exactly what changes.

const UNDO = 40;
const canvas = element.querySelector('canvas');
const picture = element.querySelector('img');
const brush = element.querySelector('[data-tool=brush]');
const erase = element.querySelector('[data-tool=erase]');
const told = element.querySelector('[data-told]');
const pen = canvas.getContext('2d');

let painted = new Uint8Array(0);
let before = [];
let last = null;  // where the stroke under way was, in pixels of the canvas
let shown = null;

function show() {
  const image = pen.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < painted.length; k++) {
    if (painted[k]) image.data.set([230, 80, 20, 255], 4 * k);
  }
  pen.putImageData(image, 0, 0);
  const share = painted.reduce((sum, each) => sum + each, 0) / Math.max(1, painted.length);
  told.textContent = share
    ? `${Math.max(1, Math.round(100 * share))}% is drawn anew, the rest is kept.`
    : 'Nothing is painted: the whole picture is drawn anew.';
  element.querySelector('[data-do=undo]').disabled = !before.length;
}

function mask() {
  const sheet = Object.assign(document.createElement('canvas'),
    {width: canvas.width, height: canvas.height});
  const image = new ImageData(canvas.width, canvas.height);
  for (let k = 0; k < painted.length; k++) {
    const grey = painted[k] ? 255 : 0;
    image.data.set([grey, grey, grey, 255], 4 * k);
  }
  sheet.getContext('2d').putImageData(image, 0, 0);
  return sheet.toDataURL('image/png');
}

function tell() {
  const value = painted.some(Boolean) ? mask() : '';
  shown = {...props.value, mask: value};
  props.value = shown;
}

function remember() {
  before.push(painted.slice());
  if (before.length > UNDO) before.shift();
}

// All pixels whose middle is within the brush, between two points.
function stroke(from, to) {
  const radius = Math.max(0.5, brush.value / 200 * Math.max(canvas.width, canvas.height));
  const steps = Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)) || 1;
  for (let k = 0; k <= steps; k++) {
    const x = from.x + (to.x - from.x) * k / steps, y = from.y + (to.y - from.y) * k / steps;
    const low = Math.max(0, Math.floor(y - radius));
    const high = Math.min(canvas.height - 1, Math.ceil(y + radius));
    for (let row = low; row <= high; row++) {
      const left = Math.max(0, Math.floor(x - radius));
      const right = Math.min(canvas.width - 1, Math.ceil(x + radius));
      for (let column = left; column <= right; column++) {
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) {
          painted[row * canvas.width + column] = erase.checked ? 0 : 1;
        }
      }
    }
  }
  show();
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return {
    x: (event.clientX - box.left) / box.width * canvas.width,
    y: (event.clientY - box.top) / box.height * canvas.height,
  };
}

canvas.addEventListener('pointerdown', (event) => {
  if (event.button || !props.value.picture) return;
  canvas.setPointerCapture(event.pointerId);
  remember();
  last = at(event);
  stroke(last, last);
});
canvas.addEventListener('pointermove', (event) => {
  if (!last) return;
  const now = at(event);
  stroke(last, now);
  last = now;
});
for (const end of ['pointerup', 'pointercancel']) {
  canvas.addEventListener(end, () => {
    if (!last) return;
    last = null;
    tell();
  });
}

// Without a mouse: arrows move a cursor, space paints there.
const cursor = element.querySelector('[data-cursor]');
let place = {x: 0.5, y: 0.5};
const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
function showCursor() {
  cursor.style.left = `${100 * place.x}%`;
  cursor.style.top = `${100 * place.y}%`;
}
canvas.addEventListener('keydown', (event) => {
  const move = MOVES[event.key];
  if (move) {
    const within = (share) => Math.min(1, Math.max(0, share));
    place = {x: within(place.x + 0.05 * move[0]), y: within(place.y + 0.05 * move[1])};
    showCursor();
  } else if (event.key === ' ' && props.value.picture) {
    remember();
    const point = {x: place.x * canvas.width, y: place.y * canvas.height};
    stroke(point, point);
    tell();
  } else return;
  event.preventDefault();
});

const TOOLS = {
  undo() { if (before.length) painted = before.pop(); },
  invert() { remember(); painted = painted.map((each) => 1 - each); },
  clear() { remember(); painted.fill(0); },
};
element.addEventListener('click', (event) => {
  const tool = event.target.closest('[data-do]');
  if (!tool || !props.value.picture) return;
  if (tool.dataset.do === 'save') {
    const link = Object.assign(document.createElement('a'), {href: mask(), download: 'mask.png'});
    link.click();
    return;
  }
  TOOLS[tool.dataset.do]();
  show();
  tell();
});

async function load() {
  const value = props.value;
  if (shown && value.picture === shown.picture && value.mask === shown.mask) return;
  if (!shown || value.picture !== shown.picture) {
    picture.src = value.picture;
    canvas.width = value.width;
    canvas.height = value.height;
    painted = new Uint8Array(value.width * value.height);
    before = [];
  } else remember();
  shown = value;
  painted.fill(0);
  if (value.mask) {
    const image = Object.assign(new Image(), {src: value.mask});
    await image.decode();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    painted = painted.map((_, k) => data[4 * k] >= 128 ? 1 : 0);
  }
  element.querySelector('.painter').classList.toggle('empty', !value.picture);
  showCursor();
  show();
}
watch('value', load);
load();
