// A picture's file, chosen or dropped, goes to our own API as it is; its answer to the page.
//
// props.address: where to. The event `upload` carries what the API answered.

const input = element.querySelector('input');
const zone = element.querySelector('label');
const told = element.querySelector('[role=alert]');

async function send(file) {
  if (!file) return;
  told.textContent = '';
  zone.classList.add('busy');
  try {
    const answer = await fetch(props.address, {method: 'POST', body: file});
    const content = await answer.json();
    if (answer.ok) trigger('upload', content);
    else told.textContent = `${content.error}.`;
  } catch (error) {
    told.textContent = 'The server cannot be reached.';
  } finally {
    zone.classList.remove('busy');
    input.value = '';  // so that the same file can be chosen again
  }
}

input.addEventListener('change', () => send(input.files[0]));
for (const name of ['dragover', 'dragenter']) {
  zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add('over');
  });
}
zone.addEventListener('dragleave', () => zone.classList.remove('over'));
zone.addEventListener('drop', (event) => {
  event.preventDefault();
  zone.classList.remove('over');
  send(event.dataTransfer.files[0]);
});
