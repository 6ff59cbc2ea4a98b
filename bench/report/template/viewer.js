// The image viewer: a button shows its network's outlines and Dice, and hides the others'.
for (const viewer of document.querySelectorAll(".viewer")) {
  const buttons = [...viewer.querySelectorAll("button[data-shows]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const part of viewer.querySelectorAll("[data-of]")) {
        part.toggleAttribute("hidden", part.dataset.of !== button.dataset.shows);
      }
    });
  }
}
