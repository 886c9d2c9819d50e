// The script in the panel's page: draws cards, sends back which one was chosen. It has no network and no storage.
import type { Card, FromPanel, ToPanel } from '../cards';

declare function acquireVsCodeApi(): { postMessage(message: FromPanel): void };

const vscode = acquireVsCodeApi();
const title = byId('title');
const notice = byId('notice');
const list = byId('cards');
let nCards = 0;

window.addEventListener('message', (event: MessageEvent<ToPanel>) => {
  const message = event.data;
  if (message.type === 'cards') {
    title.textContent = message.title;
    nCards = message.cards.length;
    list.replaceChildren(...message.cards.map(draw));
    say(nCards ? '' : 'Nothing to suggest here.');
    list.querySelector('button')?.focus();
  } else {
    say(message.type === 'waiting' ? 'Asking all adapters …' : message.text);
  }
});

window.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) {
    return;
  }
  const number = event.key === '0' ? 10 : Number.parseInt(event.key, 10);
  if (/^\d$/.test(event.key) && number <= nCards) {
    vscode.postMessage({ type: 'insert', number });
  } else if (event.key === 'r' || event.key === 'R') {
    vscode.postMessage({ type: 'again' });
  }
});

vscode.postMessage({ type: 'ready' });

function draw(card: Card): HTMLElement {
  const button = document.createElement('button');
  button.className = 'card';
  button.addEventListener('click', () => vscode.postMessage({ type: 'insert', number: card.number }));
  const head = element('span', 'head', element('kbd', '', String(card.number)), element('strong', '', card.label));
  const code = element('code', 'code', ...card.pieces.map((piece) => (piece.isNew ? element('mark', '', piece.text) : piece.text)));
  const foot = element('span', 'foot', [card.adapter, card.facts].filter(Boolean).join(' · '));
  button.append(head, code, foot);
  return button;
}

function element(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function say(text: string): void {
  notice.textContent = text;
}

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}
