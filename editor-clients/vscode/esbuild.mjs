// Bundles the extension and the panel's script; with --tests, all unit tests into one file, which is one process.
import { build } from 'esbuild';
import { readdirSync } from 'node:fs';

const common = { bundle: true, logLevel: 'warning', target: 'es2022' };
const forNode = { ...common, platform: 'node', format: 'cjs', external: ['vscode'] };

if (process.argv.includes('--tests')) {
  const tests = readdirSync('src/test').filter((name) => name.endsWith('.test.ts'));
  const contents = tests.map((name) => `import './${name}';`).join('\n');
  await build({ ...forNode, stdin: { contents, resolveDir: 'src/test' }, outfile: 'out/tests.js' });
} else {
  await build({ ...forNode, entryPoints: ['src/extension.ts'], outfile: 'dist/extension.js', minify: true });
  await build({ ...common, format: 'iife', entryPoints: ['src/webview/panel.ts'], outfile: 'dist/panel.js', minify: true });
}
