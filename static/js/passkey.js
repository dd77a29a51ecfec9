// Buttons that use a passkey: off where the browser has none, and in words when it does not work.

const problem = document.getElementById("passkey-problem");
const buttons = document.querySelectorAll("[data-passkey]");

if (!window.PublicKeyCredential) {
  for (const button of buttons) button.disabled = true;
  tell("Passkeys need a current browser, and HTTPS or localhost in the address.");
}

// allauth's script reports what went wrong; the browser's own words are not for people.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const isRefused = event.detail.exception?.name === "NotAllowedError";
  tell(isRefused ? "Cancelled, or no passkey of yours is at hand." : "That passkey does not work here.");
});

function tell(text) {
  problem.textContent = text;
  problem.hidden = false;
}
