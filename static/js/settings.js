// The settings page: the browser's own time zone with one press, if the list has it.

const offer = document.getElementById("own-zone");
const list = document.getElementById("id_time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

if ([...list.options].some((option) => option.value === own)) {
  offer.hidden = list.value === own;
  offer.querySelector("span").textContent = `Use this browser's: ${own.replaceAll("_", " ")}`;
  offer.querySelector("button").addEventListener("click", () => {
    list.value = own;
    list.focus();
    offer.hidden = true;
  });
  list.addEventListener("change", () => { offer.hidden = list.value === own; });
}
