"""What a visitor may ask for."""

from typing import Any

from django import forms
from django.core.validators import FileExtensionValidator

from example_project.shop.imports import reading
from example_project.shop.models import Template


class CampaignForm(forms.Form):
    """Choose the template of a campaign."""

    template = forms.ModelChoiceField(
        Template.objects.all(),
        error_messages={"invalid_choice": "That template is gone. Please choose another one."},
    )


class ImportForm(forms.Form):
    """Choose a file of customers. What no job could read is refused here, where it can be mended."""

    file = forms.FileField(
        label="A CSV file with the columns name and email",
        validators=[FileExtensionValidator(["csv"], "Please choose a file that ends in .csv.")],
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={
            "required": "Please choose a file.",
            "empty": "The file is empty.",
        },
    )

    def clean_file(self) -> Any:
        """Refuse a file that is too big, no text, or without the columns."""
        file = self.cleaned_data["file"]
        try:
            reading.read(file)
        except reading.BadFile as error:
            raise forms.ValidationError(str(error)) from error
        file.seek(0)
        return file
