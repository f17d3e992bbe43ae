// Reloading this page would send the form again and make another key; so the address becomes the key's own page.
history.replaceState(null, "", document.getElementById("token-page").dataset.after);
