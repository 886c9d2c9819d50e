// Drives one page of a browser: a JSON command per line on standard input, its JSON answer per line on standard output.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const [modules, browserPath, width, height] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const args = ['--no-sandbox', '--disable-gpu'];
const browser = await chromium.launch({ executablePath: browserPath, args, timeout: 300_000 }); // 30 s are few on a busy machine
const context = await browser.newContext({ viewport: { width: Number(width), height: Number(height) }, serviceWorkers: 'allow' });
const pages = [await context.newPage()];
let page = pages[0];

const commands = {
  window: async ({ number }) => {
    page = pages[number] ??= await context.newPage();
    await page.bringToFront();
  },
  close_window: ({ number }) => pages.splice(number, 1)[0].close(),
  open: ({ url }) => page.goto(url, { timeout: 300_000, waitUntil: 'commit' }).then(() => null),
  press: ({ keys }) => page.keyboard.press(keys),
  type: ({ text, delay_ms }) => page.keyboard.type(text, { delay: delay_ms }),
  insert: ({ text }) => page.keyboard.insertText(text),
  click: ({ selector, n_clicks }) => page.locator(selector).first().click({ clickCount: n_clicks, timeout: 30_000 }),
  move: ({ x, y }) => page.mouse.move(x, y, { steps: 4 }),
  texts: ({ selector }) => page.locator(selector).evaluateAll((found) => found.filter((each) => each.checkVisibility()).map((each) => each.innerText)),
  evaluate: ({ code }) => page.evaluate(code),
  // webviews are frames in frames: the one that has such an element
  frame_evaluate: async ({ selector, code }) => {
    for (const frame of page.frames()) {
      if (await frame.$(selector).catch(() => null)) {
        return frame.evaluate(code);
      }
    }
    return null;
  },
  screenshot: ({ path, clip }) => page.screenshot({ path, clip: clip ?? undefined }).then(() => null),
  close: () => browser.close().then(() => null),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...parameters } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[name](parameters)) ?? null };
  } catch (error) {
    answer = { error: String(error).slice(0, 2000) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  if (name === 'close') {
    break;
  }
}
