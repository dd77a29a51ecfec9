// On the page that says that a part of the site is down: load again when all of it is back.

const SECONDS = 5;

setInterval(async () => {
  const answer = await fetch("/api/health").catch(() => null);
  if (answer?.ok) location.reload();
}, SECONDS * 1000);
