// The panel's page: fixed HTML that may load one script and one style sheet, and nothing else. Pure.

export interface PageParts {
  script: string;
  style: string;
  /** What the style sheet may come from, as the editor names it. */
  source: string;
  nonce: string;
}

/** The page; texts come later, as messages, and are never read as HTML. */
export function panelPage({ script, style, source, nonce }: PageParts): string {
  const policy = `default-src 'none'; style-src ${source}; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Alternatives</title>
</head>
<body>
<header><h1 id="title">Alternatives</h1><p>Press <kbd>1</kbd> … <kbd>9</kbd> or click to insert, <kbd>R</kbd> to ask again.</p></header>
<p id="notice" role="status"></p>
<main id="cards"></main>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>
`;
}
