// Answers with who it is; a background process type shows that an app may have several.
const http = require('http');

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  if (request.url === '/env') return response.end(`${process.env.GREETING || 'no greeting set'}\n`);
  console.log(`${request.method} ${request.url}`);
  response.end(`hello from node ${process.version}, release ${process.env.FLYNN_RELEASE_ID || 'none'}\n`);
});
server.listen(process.env.PORT || 8080, () => console.log(`listening on port ${server.address().port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
